//! `GET /openapi.json`: soon
