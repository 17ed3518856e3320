"""The tokenizer of `mini`'s language model and its chat template, without transformers."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer


class ChatTokenizer:
    """What `AutoTokenizer` makes of a folder, as far as a `DecoderLanguageModel` asks.

    Raises OSError, ValueError or KeyError when the folder holds no tokenizer.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # It raises nothing more special.
            raise ValueError(f"tokenizer.json: {error}") from error
        self._folder = folder

    def encode(
        self, text: str, *, add_special_tokens: bool = False, split_special_tokens: bool = False
    ) -> list[int]:
        """Ids of a text, in which control tokens are text with `split_special_tokens`."""
        self._tokenizer.encode_special_tokens = split_special_tokens
        encoding = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        return list(encoding.ids)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens))

    def convert_tokens_to_ids(self, token: str) -> int | None:
        """The id of one token."""
        number: int | None = self._tokenizer.token_to_id(token)
        return number

    def apply_chat_template(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        add_generation_prompt: bool = False,
        tokenize: bool = False,
    ) -> str:
        """The messages in the template's markup."""
        assert not tokenize, "this one renders alone"
        return str(
            self._template.render(messages=messages, add_generation_prompt=add_generation_prompt)
        )

    @cached_property
    def _template(self) -> Any:
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        # As transformers sets it up: templates are written for that.
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        return environment.from_string(self._template_text)

    @cached_property
    def _template_text(self) -> str:
        if (file := self._folder / "chat_template.jinja").is_file():
            return file.read_text("utf-8")
        settings = json.loads((self._folder / "tokenizer_config.json").read_text("utf-8"))
        return str(settings["chat_template"])
