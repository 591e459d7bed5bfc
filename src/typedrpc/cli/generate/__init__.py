"""Contract packages: what a contract document says, as Python for those who do not share the service's code.

The way through it: `schema` makes one JSON Schema of a document, `models` has classes and types generated of it,
`contract` puts methods and errors into words, and `package` fills the templates, has `safety` look at what came out,
and formats it.
"""
