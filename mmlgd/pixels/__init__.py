"""The pixels of views: whether they are those that a teacher saw, and storing them."""
