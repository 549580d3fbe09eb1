{#
    A view that stays where it is as long as its columns do.

    dbt's own `view` puts a new one in its place, and with the old one drops all views that read it: a build would take
    views from whoever reads them meanwhile, and two that have a reader in common wait for each other's locks.
#}
{% materialization lasting_view, adapter='postgres' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set view = this.incorporate(type='view') -%}

    {%- if existing is not none and not (existing.is_view and has_columns_of(existing, sql)) %}
        {{ adapter.drop_relation(existing) }}
    {%- endif %}
    {% call statement('main') -%}
        create or replace view {{ view }} as (
            {{ sql }}
        )
    {%- endcall %}
    {{ adapter.commit() }}

    {{ return({'relations': [view]}) }}
{% endmaterialization %}


{# Whether the columns of a view are those of a query, by name, type and order: PostgreSQL replaces no other view. #}
{% macro has_columns_of(view, query) -%}
    {{ return(get_column_schema_from_query(query) == get_column_schema_from_query('select * from ' ~ view)) }}
{%- endmacro %}
