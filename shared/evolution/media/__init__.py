"""Evolution's media, in a local folder or an S3 bucket. Steps and commands may import it; it imports no other store,
and touches nothing outside of the folder or bucket that the settings name."""
