"""Transfers measured: metrics, methods to compare with, reports."""
