"""The annotators, one a file: same transcript in, same annotations out, on any machine."""
