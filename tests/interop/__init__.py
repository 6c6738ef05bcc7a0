"""Unmodified SOFARPC and Dubbo clients and servers, with each other and through two sidecars (docs/interop.md)."""
