"""Whisper from CTranslate2's files, in torch; beams by CTranslate2."""
