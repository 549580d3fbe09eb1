"""The web app: what others reach over HTTP. One module serves one room; the app joins them."""
