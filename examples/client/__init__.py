"""A client in TypeScript: docs/clients.md."""
