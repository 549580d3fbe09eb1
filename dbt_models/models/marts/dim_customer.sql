{{ config(materialized='lasting_view') }}

with organizations as (
    select
        customer_id,
        array_agg(organization_id order by length(organization_id), organization_id) as organization_ids,
        array_agg(organization order by length(organization_id), organization_id) as organizations
    from {{ ref('stg_organization_customers') }}
    where customer_id is not null
    group by customer_id
)

select
    'kimai:' || customers.id as customer_key,
    customers.id as customer_id,
    customers.name as customer,
    customers.number as customer_number,
    customers.visible as is_visible,
    coalesce(organizations.organization_ids, '{}') as organization_ids,
    coalesce(organizations.organizations, '{}') as organizations
from {{ source('kimai', 'customers') }} as customers
left join organizations on customers.id = organizations.customer_id
where customers.connector = '{{ var("target") }}'
union all
-- Organizations that nothing was billed for yet.
select
    'organization:' || unbilled.organization_id as customer_key,
    null as customer_id,
    unbilled.organization as customer,
    null as customer_number,
    true as is_visible,
    array[unbilled.organization_id] as organization_ids,
    array[unbilled.organization] as organizations
from {{ ref('stg_organization_customers') }} as unbilled
where unbilled.customer_id is null
