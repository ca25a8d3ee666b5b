"""How the demo documents are drawn and how the demo models are trained, quantised and measured."""
