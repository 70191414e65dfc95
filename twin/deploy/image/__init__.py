"""The image of a release: found, built in the account, or published elsewhere."""
