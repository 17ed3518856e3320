"""The tokenizer of a language model on the CPU and its chat template, without transformers."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

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
        # Some put a space before all that they encode; words come with their own.
        self._adds_space = self._tokenizer.encode("a", add_special_tokens=False).tokens[:1] in (
            ["▁a"],
            ["▁"],
        )

    def encode(
        self, text: str, *, add_special_tokens: bool = False, split_special_tokens: bool = False
    ) -> list[int]:
        """Ids of a text, in which control tokens are text with `split_special_tokens`."""
        if self._adds_space and text.startswith(" "):
            text = text[1:]
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
            self._template.render(
                messages=messages,
                add_generation_prompt=add_generation_prompt,
                # A model that may think first is asked not to.
                enable_thinking=False,
                **self._named_tokens,
            )
        )

    @property
    def control_tokens(self) -> set[int]:
        """Ids of what is markup, and never text."""
        added = self._tokenizer.get_added_tokens_decoder()
        return {number for number, token in added.items() if token.special}

    @cached_property
    def _template(self) -> Any:
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        # As transformers sets it up: templates are written for that.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _refuse
        return environment.from_string(self._template_text)

    @cached_property
    def _named_tokens(self) -> dict[str, str]:
        """Those that templates name: `bos_token` and its like."""
        file = self._folder / "tokenizer_config.json"
        settings = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        tokens = {name: settings.get(name) for name in ("bos_token", "eos_token", "pad_token")}
        return {
            name: str(token["content"] if isinstance(token, dict) else token or "")
            for name, token in tokens.items()
        }

    @cached_property
    def _template_text(self) -> str:
        if (file := self._folder / "chat_template.jinja").is_file():
            return file.read_text("utf-8")
        settings = json.loads((self._folder / "tokenizer_config.json").read_text("utf-8"))
        return str(settings["chat_template"])


def _refuse(reason: str) -> NoReturn:
    from jinja2 import TemplateError

    raise TemplateError(reason)
