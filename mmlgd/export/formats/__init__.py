"""Export formats: a module is named after its format and defines the class ``FORMAT``."""
