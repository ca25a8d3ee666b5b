"""Pages of PDFs: forms with and without appearances, fonts that are not embedded, units, boxes, annotations."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from runner.datasets import BadImage, EncodedImage, Image, read_image

RECT = (120, 140, 260, 170)  # of the field, in points from the lower left of a page of 300 x 200
HELVETICA = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
CYRILLIC = "Иванов"
PAGE = "/MediaBox [0 0 300 200]"
TEXT = "/FT /Tx /T (surname) /DA (/F1 14 Tf 0 g)"
ONE_DOT = "<< /Type /XObject /Subtype /Form /BBox [0 0 140 30] /Length 14 >>\nstream\n2 2 20 20 re f\nendstream"
BLANK = "<< /Type /XObject /Subtype /Form /BBox [0 0 140 30] /Length 0 >>\nstream\n\nendstream"


def stream(content: str) -> str:
    return f"<< /Length {len(content)} >>\nstream\n{content}\nendstream"


def written(
    path: Path,
    *,
    content: str = "",
    page: str = PAGE,
    font: str = HELVETICA,
    annotation: str = "",
    others: tuple[str, ...] = (),
    catalog: str = "",
) -> Path:
    """Write a PDF of one page: object 5 is its font /F1, 6 its annotation, others follow from 7 on."""
    annots = f"/Annots [6 0 R] {page}" if annotation else page
    form = "/AcroForm << /Fields [6 0 R] /DA (/F1 14 Tf 0 g) /DR << /Font << /F1 5 0 R >> >>"
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {form} {catalog} >> >>"
        if "/Widget" in annotation
        else "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> {annots} >>",
        stream(content),
        font,
        annotation or "null",
        *others,
    ]
    data, places = b"%PDF-1.7\n", []
    for number, one in enumerate(objects, start=1):
        places.append(len(data))
        data += f"{number} 0 obj\n{one}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    tail = (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer << /Size {len(objects) + 1} /Root 1 0 R >>\n"
    )
    path.write_bytes(data + f"{tail}startxref\n{len(data)}\n%%EOF\n".encode())
    return path


def widget(body: str, flags: int = 4) -> str:
    return f"<< /Type /Annot /Subtype /Widget /Rect [{' '.join(map(str, RECT))}] /F {flags} /P 3 0 R {body} >>"


def utf16(text: str) -> str:
    return f"<{chr(0xFEFF).encode('utf-16-be').hex()}{text.encode('utf-16-be').hex()}>"


def ink(read: EncodedImage, rect: tuple[int, int, int, int] = RECT, height: int = 200) -> int:
    """Count dark pixels well within a rectangle of the page."""
    picture = PIL.Image.open(io.BytesIO(read.data)).convert("L")
    scale, (left, bottom, right, top) = 150 / 72, rect
    box = [round(value * scale) for value in (left + 3, height - top + 3, right - 3, height - bottom - 3)]
    return int((np.asarray(picture.crop(box)) < 128).sum())


@pytest.mark.parametrize("catalog", ["", "/NeedAppearances true"])
@pytest.mark.parametrize(
    "body",
    [
        f"{TEXT} /V (IVANOV)",
        "/FT /Tx /T (a) /V (IVANOV)",
        f"{TEXT} /V (IVANOV\\rPETROV) /Ff 4096",
        f"{TEXT} /V (IVANOV) /Ff 16777216 /MaxLen 8",
        "/FT /Tx /T (a) /V (IVANOV) /DA (/F1 0 Tf 0 g)",
        "/FT /Ch /Ff 131072 /T (a) /Opt [(one) (two)] /V (two) /DA (/F1 12 Tf 0 g)",
        "/FT /Ch /Ff 131072 /T (a) /Opt [[(1) (one)] [(2) (two)]] /V (2) /DA (/F1 12 Tf 0 g)",
        "/FT /Ch /T (a) /Opt [(one) (two)] /V (two) /DA (/F1 8 Tf 0 g)",
        "/FT /Btn /T (a) /V /Yes /AS /Yes",
        "/FT /Btn /T (a) /V /On /AS /On",
        "/FT /Btn /T (a) /V /On",
        "/FT /Btn /Ff 32768 /T (a) /V /A /AS /A /MK << /CA (l) >>",
    ],
)
def test_a_value_without_an_appearance_is_drawn(tmp_path: Path, body: str, catalog: str):
    read = read_image(Image(written(tmp_path / "a.pdf", annotation=widget(body), catalog=catalog)))
    assert ink(read) > 50
    assert not [one for one in read.remarks if "field" in one.what]


@pytest.mark.parametrize(
    "body", ["/FT /Btn /T (a) /V /Off /AS /Off", "/FT /Tx /T (a)", "/FT /Sig /T (a)", "/FT /Btn /T (a)"]
)
def test_a_field_without_a_value_stays_empty_and_is_not_told_of(tmp_path: Path, body: str):
    content = "BT /F1 14 Tf 20 20 Td (Surname) Tj ET"
    read = read_image(Image(written(tmp_path / "a.pdf", annotation=widget(body), content=content)))
    assert ink(read) == 0 and not read.remarks


def test_appearances_that_the_file_brings_are_drawn(tmp_path: Path):
    for body in (
        f"{TEXT} /V (IVANOV) /AP << /N 7 0 R >>",
        "/FT /Btn /T (a) /V /Yes /AS /Yes /AP << /N << /Yes 7 0 R /Off 8 0 R >> >>",
        "/FT /Btn /T (a) /V /Yes /AP << /N << /Yes 7 0 R /Off 8 0 R >> >>",
        "/FT /Btn /Ff 32768 /T (a) /V /A /AS /A /AP << /N << /A 7 0 R /Off 8 0 R >> >>",
    ):
        assert (
            ink(read_image(Image(written(tmp_path / "a.pdf", annotation=widget(body), others=(ONE_DOT, BLANK))))) > 500
        )


def test_a_value_that_its_appearance_does_not_show_is_told_of(tmp_path: Path):
    body = f"{TEXT} /V (IVANOV) /AP << /N 7 0 R >>"
    old = written(tmp_path / "old.pdf", annotation=widget(body), others=(BLANK,))
    (remark, *_) = read_image(Image(old)).remarks
    assert remark.where == "old.pdf#page=1"
    assert remark.what == "has the field 'surname' whose value, 'IVANOV', is not shown"
    asked = written(tmp_path / "new.pdf", annotation=widget(body), others=(BLANK,), catalog="/NeedAppearances true")
    assert ink(read_image(Image(asked))) > 50, "the file asks its reader to draw values anew"
    box = "/FT /Btn /T (paid) /V /Yes /AS /Off /AP << /N << /Yes 7 0 R /Off 8 0 R >> >>"
    box_read = read_image(Image(written(tmp_path / "box.pdf", annotation=widget(box), others=(ONE_DOT, BLANK))))
    assert "has the field 'paid' with the value 'Yes', drawn without its mark" in [one.what for one in box_read.remarks]


def test_a_hidden_field_stays_hidden(tmp_path: Path):
    read = read_image(Image(written(tmp_path / "a.pdf", annotation=widget(f"{TEXT} /V (IVANOV)", flags=2))))
    assert ink(read) == 0 and not [one for one in read.remarks if "field" in one.what]


def test_a_cyrillic_value_is_drawn_with_a_font_of_this_machine_or_refused(tmp_path: Path):
    path = written(tmp_path / "a.pdf", annotation=widget(f"{TEXT} /V {utf16(CYRILLIC)}"))
    try:
        assert ink(read_image(Image(path))) > 50
    except BadImage as error:  # a machine without fonts
        assert "page 1" in str(error) and "'surname'" in str(error)


def test_a_machine_without_fonts_refuses_a_cyrillic_value(tmp_path: Path):
    path = written(tmp_path / "a.pdf", annotation=widget(f"{TEXT} /V {utf16(CYRILLIC)}"))
    code = f"""
import pypdfium2
class NoFonts(pypdfium2.PdfSysfontBase):
    def MapFont(self, *arguments): return None
    def GetFont(self, *arguments): return None
    def EnumFonts(self, *arguments): return None
NoFonts().setup()
from pathlib import Path
from runner.datasets import BadImage, Image, read_image
try:
    read_image(Image(Path({str(path)!r})))
except BadImage as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300).stdout
    assert f"page 1 would be drawn without 6 characters in the font 'ChromeSansMM' ({CYRILLIC!r}) in the field" in told


# ------------------------------------------------------------------------------------------------- fonts

NAMES = " ".join(
    f"/afii{10017 + (n if n < 6 else n + 1) if n < 32 else 10065 + (n - 32 if n < 38 else n - 31)}" for n in range(64)
)
ENCODING = f"/Encoding << /Type /Encoding /BaseEncoding /WinAnsiEncoding /Differences [192 {NAMES}] >>"
DESCRIPTOR = (
    "/FontDescriptor << /Type /FontDescriptor /FontName /ArialMT /Flags 32 /ItalicAngle 0 /Ascent 905 /Descent -212"
    " /CapHeight 700 /StemV 80 /FontBBox [-500 -300 1000 1000] >>"
)
WIDTHS = f"/FirstChar 32 /LastChar 255 /Widths [{'600 ' * 224}]"
ARIAL = f"<< /Type /Font /Subtype /TrueType /BaseFont /ArialMT {WIDTHS} {DESCRIPTOR}"
COMPOSITE = "<< /Type /Font /Subtype /Type0 /BaseFont /ArialMT /Encoding /Identity-H /DescendantFonts [7 0 R]"
DESCENDANT = (
    "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /ArialMT"
    f" /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> {DESCRIPTOR} /DW 600 >>"
)
TO_UNICODE = stream(
    "/CIDInit /ProcSet findresource begin 12 dict begin begincmap 1 begincodespacerange <0000> <ffff> "
    "endcodespacerange 6 beginbfchar "
    f"{' '.join(f'<{number:04x}> <{ord(letter):04x}>' for number, letter in enumerate(CYRILLIC, start=1))} "
    "endbfchar endcmap end end"
)
SHOWN = f"BT /F1 14 Tf 120 150 Td <{CYRILLIC.encode('cp1251').hex()}> Tj ET"
BY_NUMBER = "BT /F1 14 Tf 120 150 Td <000100020003000400050006> Tj ET"


@pytest.mark.parametrize(
    ("font", "content", "others"),
    [
        (f"{ARIAL} {ENCODING} >>", SHOWN, ()),
        (f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica {ENCODING} >>", SHOWN, ()),
        (f"{COMPOSITE} /ToUnicode 8 0 R >>", BY_NUMBER, (DESCENDANT, TO_UNICODE)),
        (f"{COMPOSITE} >>", BY_NUMBER, (DESCENDANT,)),
    ],
    ids=["TrueType", "Type 1", "composite", "composite without characters"],
)
def test_letters_that_would_vanish_refuse_their_page(tmp_path: Path, font: str, content: str, others: tuple[str, ...]):
    path = written(tmp_path / "a.pdf", font=font, content=content, others=others)
    with pytest.raises(BadImage, match=r"a\.pdf: page 1 would be drawn without 6 characters in the font '") as raised:
        read_image(Image(path))
    assert "with its fonts embedded" in str(raised.value)
    if "ToUnicode" in font or "Differences" in font:
        assert CYRILLIC in str(raised.value)


def test_invisible_text_under_a_scan_needs_no_font(tmp_path: Path):
    content = f"BT 3 Tr {SHOWN[3:]}"
    assert read_image(Image(written(tmp_path / "a.pdf", font=f"{ARIAL} {ENCODING} >>", content=content)))


def test_latin_in_the_standard_fonts_is_drawn_and_not_told_of(tmp_path: Path):
    for font in (f"{HELVETICA[:-2]}/Encoding /WinAnsiEncoding >>", f"{ARIAL} /Encoding /WinAnsiEncoding >>"):
        content = "BT /F1 14 Tf 120 150 Td (No. 17, \\200 5 \\226 \\253x\\273) Tj ET"
        read = read_image(Image(written(tmp_path / "a.pdf", font=font, content=content)))
        assert ink(read) > 50 and not read.remarks


def test_a_sign_that_is_missing_is_told_of_and_its_page_read(tmp_path: Path):
    font = f"{HELVETICA[:-2]}/Encoding << /Type /Encoding /Differences [1 /uni2610] >> >>"
    content = "BT /F1 14 Tf 120 150 Td (\\001 paid) Tj ET"
    (remark,) = read_image(Image(written(tmp_path / "a.pdf", font=font, content=content))).remarks
    assert remark.what.startswith("lacks '\N{BALLOT BOX}': the font 'Helvetica' is not embedded")


def test_pictograms_drawn_as_letters_are_told_of(tmp_path: Path):
    font = ARIAL.replace("ArialMT", "Wingdings") + " >>"
    content = "BT /F1 14 Tf 120 150 Td <a7fc> Tj ET"
    (*_, remark) = read_image(Image(written(tmp_path / "a.pdf", font=font, content=content))).remarks
    assert remark.what.startswith("shows letters in place of the signs of the font 'Wingdings'")


# ------------------------------------------------------------------------------------------------- pages


def test_a_unit_of_the_page_counts(tmp_path: Path):
    assert (lambda one: (one.width, one.height))(read_image(Image(written(tmp_path / "a.pdf")))) == (625, 417)
    twice = read_image(Image(written(tmp_path / "b.pdf", page=f"{PAGE} /UserUnit 2")))
    assert (twice.width, twice.height) == (1250, 834)
    with pytest.raises(BadImage, match="625000 x 416667 pixels"):
        read_image(Image(written(tmp_path / "c.pdf", page=f"{PAGE} /UserUnit 1000")))


def test_a_turned_page_with_a_form_is_upright(tmp_path: Path):
    path = written(tmp_path / "a.pdf", page=f"{PAGE} /Rotate 90", annotation=widget(f"{TEXT} /V (IVANOV)"))
    read = read_image(Image(path))
    assert (read.width, read.height) == (417, 625)
    assert ink(read, (140, 40, 170, 180), height=300) > 50, "a field's place turns with its page"


def test_a_crop_box_cuts_page_and_form(tmp_path: Path):
    page = f"{PAGE} /CropBox [100 120 300 200]"
    read = read_image(Image(written(tmp_path / "a.pdf", page=page, annotation=widget(f"{TEXT} /V (IVANOV)"))))
    assert (read.width, read.height) == (417, 167)
    assert ink(read, (20, 20, 160, 50), height=80) > 50


def test_stamps_are_drawn_and_notes_without_an_appearance_told_of(tmp_path: Path):
    stamp = f"<< /Type /Annot /Subtype /Stamp /Rect [{' '.join(map(str, RECT))}] /F 4 /AP << /N 7 0 R >> >>"
    assert ink(read_image(Image(written(tmp_path / "a.pdf", annotation=stamp, others=(ONE_DOT,))))) > 500
    line = f"<< /Type /Annot /Subtype /Stamp /Rect [{' '.join(map(str, RECT))}] /F 4 /Contents (PAID) >>"
    remarks = [one.what for one in read_image(Image(written(tmp_path / "b.pdf", annotation=line))).remarks]
    assert "has a stamp ('PAID') laid on it without an appearance, which is not drawn" in remarks


@pytest.mark.parametrize(("told", "drawn"), [("(PAID)", True), (utf16(CYRILLIC), False)])
def test_a_text_laid_on_a_page_is_drawn_or_told_of(tmp_path: Path, told: str, drawn: bool):
    place = f"/Rect [{' '.join(map(str, RECT))}] /F 4"
    text = f"<< /Type /Annot /Subtype /FreeText {place} /DA (/Helv 9 Tf) /Contents {told} >>"
    content = "BT /F1 14 Tf 20 20 Td (Invoice) Tj ET"
    read = read_image(Image(written(tmp_path / "b.pdf", annotation=text, content=content)))
    assert (ink(read) > 20) == drawn
    assert [one.what for one in read.remarks] == (
        [] if drawn else [f"has a text laid on it whose value, {CYRILLIC!r}, is not shown"]
    )


def test_a_password_is_asked_for_and_an_owner_s_alone_is_not(tmp_path: Path):
    import pikepdf

    path = written(tmp_path / "a.pdf", content="BT /F1 14 Tf 120 150 Td (IVANOV) Tj ET")
    with pikepdf.open(path) as document:
        document.save(tmp_path / "user.pdf", encryption=pikepdf.Encryption(owner="o", user="u"))
        document.save(tmp_path / "owner.pdf", encryption=pikepdf.Encryption(owner="o", user=""))
    with pytest.raises(BadImage, match=r"user\.pdf: the PDF can't be opened: .*It asks for a password"):
        read_image(Image(tmp_path / "user.pdf", 0))
    assert ink(read_image(Image(tmp_path / "owner.pdf"))) > 50


def test_a_blank_page_is_told_of(tmp_path: Path):
    (remark,) = read_image(Image(written(tmp_path / "a.pdf"))).remarks
    assert (remark.where, remark.what) == ("a.pdf#page=1", "is one flat colour: nothing can be read on it")


def test_a_form_s_digest_names_its_pixels(tmp_path: Path):
    """What PDFium draws of a form depends on this machine's fonts; a page without one keeps its name."""
    import hashlib

    plain = written(tmp_path / "a.pdf", content="BT /F1 14 Tf 120 150 Td (IVANOV) Tj ET")
    assert read_image(Image(plain)).digest == hashlib.sha256(plain.read_bytes() + b"#page=0@150dpi").hexdigest()
    form = written(tmp_path / "b.pdf", annotation=widget(f"{TEXT} /V (IVANOV)"))
    assert read_image(Image(form)).digest != hashlib.sha256(form.read_bytes() + b"#page=0@150dpi").hexdigest()
