#!/bin/sh
# What comes back when docling-core 2.104.0 (PyPI) writes a document as DocTags, the format that SmolDocling and Granite
# Docling are trained to answer in, and reads it again.
#
# Guess, written down before it was run: the same texts and cells, "<" and "&" too, as HTML of the same package escapes them.
# Seen: nothing is escaped. A cell with "<3 & 4" takes the tag behind it for its own text and becomes "<3 & 4<fcel>", and
# the cell next to it, 001.50, is gone without a word. Of a paragraph "a<b>c</b>" the reader leaves "ac".
# So references made this way lack values ("<5 мг", "<LLOQ"), and a model that has read them right is judged wrong.
# Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "docling-core==2.104.0"
"$folder/venv/bin/python" - <<'PYTHON'
from docling_core.types.doc import DocItemLabel, DoclingDocument, TableCell, TableData
from docling_core.types.doc.document import DocTagsDocument

document = DoclingDocument(name="page")
document.add_text(DocItemLabel.TEXT, "a<b>c</b>")
cells = [
    TableCell(
        text=text, start_row_offset_idx=row, end_row_offset_idx=row + 1, start_col_offset_idx=column, end_col_offset_idx=column + 1
    )
    for row, texts in enumerate((("5", "6", "7"), ("8", "<3 & 4", "001.50")))
    for column, text in enumerate(texts)
]
document.add_table(TableData(num_rows=2, num_cols=3, table_cells=cells))
tags = document.export_to_doctags()
again = DoclingDocument.load_from_doctags(DocTagsDocument.from_doctags_and_image_pairs([tags], None))
written = [cell.text for cell in document.tables[0].data.table_cells]
read = [cell.text for cell in again.tables[0].data.table_cells]
print(f"docling-core 2.104.0, cells written: {written}, cells read: {read}")
print(f"text written: {document.texts[0].text!r}, text read: {again.texts[0].text!r}")
assert "001.50" in written and "001.50" not in read and "<3 & 4<fcel>" in read, read
assert again.texts[0].text == "ac", again.texts[0].text
PYTHON
echo "as described"
