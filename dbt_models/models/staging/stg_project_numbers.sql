-- Of projects with one number the oldest counts, as it does for the pipeline.
select
    number as project_number,
    min(id) as project_id
from {{ source('kimai', 'projects') }}
where connector = '{{ var("target") }}' and number is not null
group by number
