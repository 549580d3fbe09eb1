"""TODO zk_pipeline.store.migrations.versions"""
