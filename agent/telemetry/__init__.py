"""Metrics and structured logs, secrets redacted. PURE code returns facts instead and never comes here."""
