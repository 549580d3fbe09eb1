"""HTTP connectors: the plug-in contract and the clients for Zammad and Kimai."""
