"""Forms of answer, and the schemas that an answer may have to fit."""
