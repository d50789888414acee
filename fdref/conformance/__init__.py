"""The conformance kit: is another implementation right, and if not, what does it do?"""
