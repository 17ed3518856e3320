"""From a source to what is heard in it: samples ahead, words, frames, speakers."""
