"""Variables that a request gives to a checkpoint's chat template, such as `enable_thinking`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from backends.chat_server.errors import RequestError

# Arguments of `apply_chat_template` itself, and what it gives to every template.
_TAKEN = ("tokenize", "add_generation_prompt", "messages", "chat_template", "conversation", "return_dict",
          "continue_final_message", "return_tensors", "padding", "truncation", "max_length")  # fmt: skip


def checked(options: Mapping[str, Any], template: Any) -> dict[str, Any]:
    """Return the options. Raise RequestError for one that the template never reads: it would have no effect.

    `template` is Jinja2, or a mapping of several by name; None: the family builds its prompts without one.
    """
    text = "\n".join(map(str, template.values())) if isinstance(template, Mapping) else str(template or "")
    for name in options:
        if name in _TAKEN or re.search(rf"\b{re.escape(str(name))}\b", text) is None:
            raise RequestError(
                f"chat_template_kwargs: the model's chat template reads no {name!r}; leave it out",
                code="unsupported_parameter",
                param="chat_template_kwargs",
            )
    return dict(options)
