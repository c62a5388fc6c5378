"""Packages, versions and promotions: from a finished evaluation to production."""
