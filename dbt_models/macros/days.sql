{# The days of which the mart was built from other rows than there are now, or nothing where all are to be built. It is
   decided by what the rows say, so a change counts whoever made it and a look at a day that changed nothing does not. #}
{% macro changed_days() %}
    {% if not execute or not is_incremental() %}{{ return(none) }}{% endif %}
    {% set query %}
        select versions.entry_date
        from {{ ref('stg_day_versions') }} as versions
        left join (select distinct entry_date, day_version from {{ this }}) as built
            on versions.entry_date = built.entry_date and versions.day_version = built.day_version
        where built.entry_date is null
        order by versions.entry_date
    {% endset %}
    {{ return(run_query(query).columns[0].values() | list) }}
{% endmacro %}

{# A condition that keeps these days, as literals that reach the indexes of the sources. #}
{% macro only_days(days, column) -%}
    {%- if days is none -%}
        true
    {%- else -%}
        {{ column }} = any('{ {{- days | join(',') -}} }'::date [])
    {%- endif -%}
{%- endmacro %}

{# Forget days of which nothing is left: replacing days by their new rows does not see them. #}
{% macro forget_vanished_days() -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where entry_date not in (select versions.entry_date from {{ ref('stg_day_versions') }} as versions)
    {%- endif -%}
{%- endmacro %}

{# Changes with what the entries are made by: after an upgrade that makes them differently all days are built again. #}
{% macro models_version() -%}
    {%- if execute -%}
        {%- set sums = [] -%}
        {%- for node in graph.nodes.values() | sort(attribute='unique_id') -%}
            {%- if node.resource_type == 'model' and (node.name.startswith('stg_') or node.name.startswith('fct_')) -%}
                {%- do sums.append(node.checksum.checksum) -%}
            {%- endif -%}
        {%- endfor -%}
        {{- local_md5(sums | join) -}}
    {%- endif -%}
{%- endmacro %}
