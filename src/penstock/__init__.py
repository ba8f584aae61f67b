"""Penstock: ML engineering on DynamoDB, whole, from one command on one machine."""
