{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'fct_time_entries'}}}) }}

select
    entry_key,
    entry_date,
    minutes_unexplained
from {{ ref('fct_time_entries') }}
where minutes_unexplained <> 0
