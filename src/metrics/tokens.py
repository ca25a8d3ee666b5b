r"""Tokenizers for ROUGE. No other choice changes ROUGE more.

`words` (default): lower-cased `\w+`, Russian words by their Snowball stem.   "Покупки на Ozon" -> покупк, на, ozon
`wordpiece`: a BERT vocabulary by path or hub name; lower-cased, accents stripped, as in the published tables.
`google`: rouge-score's own, [a-z0-9]+. It drops Cyrillic and still gives plausible numbers, so it is refused for
references with Cyrillic letters.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_WORDS = re.compile(r"\w+")
_GOOGLE = re.compile(r"[a-z0-9]+")
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
TOKENIZERS = ("words", "wordpiece", "google")
STEMMERS = ("russian", "none")


class Tokenizer:
    """Splits texts into tokens. The stems of words are cached."""

    def __init__(self, tokenizer: str, stemmer: str, vocabulary: str | None) -> None:
        for name, value, valid in (("tokenizer", tokenizer, TOKENIZERS), ("stemmer", stemmer, STEMMERS)):
            if value not in valid:
                raise ValueError(f"{name} is {value!r}; valid: {', '.join(valid)}")
        if (tokenizer == "wordpiece") != (vocabulary is not None):
            raise ValueError("vocabulary (a vocab.txt or a hub name) goes with tokenizer: wordpiece, and only with it")
        self.name, self.vocabulary = tokenizer, vocabulary
        self.stemmer = stemmer if tokenizer == "words" else "none"
        self._stems: dict[str, str] = {}
        self._cut: Callable[[str], list[str]] | None = None

    @property
    def version(self) -> str:
        """Everything that decides the tokens."""
        if self.vocabulary is None:
            return f"tok:{self.name}|stem:{self.stemmer}"
        path = Path(self.vocabulary)
        content = path.read_bytes() if path.is_file() else self.vocabulary.encode()
        return f"tok:wordpiece|vocabulary:{path.name}:{hashlib.blake2s(content, digest_size=4).hexdigest()}"

    def refuse(self, references: Sequence[str], sample_id: str) -> None:
        """Raise ValueError if the tokenizer would drop the Cyrillic letters of a reference."""
        if self.name == "google" and any(_CYRILLIC.search(text) for text in references):
            raise ValueError(
                f"rouge: tokenizer google drops every Cyrillic letter, and the reference of {sample_id!r} has some:"
                " the score would count digits and Latin words only. Use tokenizer: words or wordpiece"
            )

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        if self._cut is None:
            cuts = {"words": self._words, "google": lambda text: _GOOGLE.findall(text.lower())}
            self._cut = cuts.get(self.name) or _wordpiece(str(self.vocabulary))
        return self._cut(text)

    def _words(self, text: str) -> list[str]:
        words = _WORDS.findall(text.lower())
        if self.stemmer == "none":
            return words
        stems = self._stems
        if missing := [word for word in words if word not in stems]:
            import snowballstemmer

            stems.update(zip(missing, snowballstemmer.stemmer("russian").stemWords(missing), strict=True))
        return [stems[word] for word in words]


def _wordpiece(vocabulary: str) -> Callable[[str], list[str]]:
    """Return BERT's uncased WordPiece tokenization with a vocabulary from a file or the hub."""
    from tokenizers import BertWordPieceTokenizer  # compiled, without torch

    path = vocabulary if Path(vocabulary).is_file() else _fetched(vocabulary)
    wordpiece: Any = BertWordPieceTokenizer(path, lowercase=True, strip_accents=True)

    def cut(text: str) -> list[str]:
        # Lone surrogates can't be passed to compiled code.
        clean = text.encode("utf-8", "replace").decode()
        return list(wordpiece.encode(clean, add_special_tokens=False).tokens)

    return cut


def _fetched(name: str) -> str:
    """Return the path of a model's vocab.txt from the hub (`owner/name` or `owner/name@revision`)."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read when it is imported
    from huggingface_hub import hf_hub_download

    repository, _, revision = name.partition("@")
    try:
        return hf_hub_download(repository, "vocab.txt", revision=revision or None)
    except Exception as error:
        raise ValueError(
            f"rouge: {name!r} is neither a vocabulary file nor a model whose vocab.txt can be had: {error}"
        ) from error
