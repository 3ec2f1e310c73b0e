"""Adapters of the LanguageModel port: one scripted, for tests, and one in process. Nothing is imported here."""
