def render_report(manifest, shards): return "<html></html>"
