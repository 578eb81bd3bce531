"""Unit tests mirror the four packages; integration and fault tests run on real servers."""
