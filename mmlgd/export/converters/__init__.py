"""Programs for the environments of converters that cannot be installed beside mmlgd."""
