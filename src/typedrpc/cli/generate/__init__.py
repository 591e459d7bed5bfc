"""Contract packages: what a contract document says, as Python for those who do not share the service's code.

The way through it: `validity` looks at the document's methods, `schema` makes one JSON Schema of it, `models` has
classes and types generated of that, with `unions` and `soundness` to look at them, `contract` puts methods and errors
into words, and `package` fills the templates, has `safety` look at what came out, and formats it.
"""
