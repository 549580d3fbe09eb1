with numbered as (
    -- Of customers with one number the oldest counts, as it does for the pipeline.
    select distinct on (number)
        number,
        id
    from {{ source('kimai', 'customers') }}
    where connector = '{{ var("target") }}' and number is not null
    order by number asc, id asc
)

select
    organizations.id as organization_id,
    organizations.name as organization,
    coalesce(mappings.kimai_customer_id, numbered.id) as customer_id
from {{ source('zammad', 'organizations') }} as organizations
left join {{ source('sync', 'customer_mappings') }} as mappings on organizations.id = mappings.organization_id
left join numbered on numbered.number = {{ customer_number('organizations.id') }}
where organizations.connector = '{{ var("source") }}'
