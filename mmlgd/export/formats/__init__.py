"""The formats, a module each: its name is the format's, its ``FORMAT`` the class."""
