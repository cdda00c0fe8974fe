"""The file server: uploads, downloads and deletes of what experiments leave behind (debug images, media, artifacts, models).

`names` says which names are allowed and where they lie, `storage` keeps the bytes, `uploads` reads multipart bodies as they come, `web` is
the HTTP face, `wiring` ties it to the login of the API. Nothing here knows tasks beyond their id in a name.
"""
