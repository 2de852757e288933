"""What all verbs share: words to options, help, JSON documents, completion."""
