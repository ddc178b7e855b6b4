"""S3-compatible stores for tests: moto's server as a process of its own, and a small stand-in that fails on purpose."""
