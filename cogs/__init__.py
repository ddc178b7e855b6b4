"""Commands that people type in Discord; under `components` what they press and fill in."""
