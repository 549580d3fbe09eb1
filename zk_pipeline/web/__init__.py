"""The web app: everything that is reached over HTTP. A module serves a room of the product, and the app joins them."""
