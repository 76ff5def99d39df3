"""ONNX: the world step as an integer-only graph, and ONNX Runtime to run it."""
