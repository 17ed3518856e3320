"""Whisper from CTranslate2's files: by CTranslate2, or in torch where bfloat16 is fast."""
