"""Deploying a program and its weights, and checking what is deployed."""
