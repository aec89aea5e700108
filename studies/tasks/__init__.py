"""What studies ask: kinds of documents, files of questions, and how answers are scored."""
