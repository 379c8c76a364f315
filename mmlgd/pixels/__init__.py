"""Views whose pixels are stored beside the teacher's embeddings."""
