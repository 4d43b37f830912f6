"""Promises held against the evidence: claim files, the computation behind each, and a verdict by a fixed rule."""
