"""The demo's catalogue: two customers, a fleet of several kinds, the worked case of the documentation."""

CATALOGUE = """\
seller: {name: Metergate Demo SAS, country: FR, vat_number: FRXX999999999, currency: EUR, timezone: Europe/Paris}
metrics:
  - {name: usage, unit: unit, kind: delta, decimals: 6}
  - {name: energy, unit: kWh, unit_code: KWH, kind: cumulative, decimals: 3}
customers:
  - {reference: FLEET, name: Fleet Customer, country: FR, currency: EUR, timezone: Europe/Paris}
  - {reference: CITY, name: City of Light, country: FR, currency: EUR, timezone: Europe/Paris}
plans:
  - name: Premium Fleet Subscription
    charges:
      - name: Usage
        type: usage
        every: month
        timing: arrears
        vat_rate: "20"
        calculator:
          metric: usage
          aggregation: sum
          price: {model: per_unit, unit_price: "2.50", included: "0"}
  - name: Charger Subscription
    charges:
      - {name: Access, type: recurring, every: month, timing: advance, amount: "9.90", vat_rate: "20"}
      - name: Energy
        type: usage
        every: month
        timing: arrears
        vat_rate: "20"
        calculator:
          metric: energy
          aggregation: sum
          price:
            model: graduated
            tiers:
              - {up_to: "100", unit_price: "0.30", flat_fee: "0"}
              - {up_to: null, unit_price: "0.25", flat_fee: "0"}
contracts:
  - name: IOT Fleet Contract
    customer: FLEET
    starts_on: 2022-01-01
    subscriptions: [Premium Fleet Subscription]
  - name: Town Chargers
    customer: CITY
    starts_on: 2022-01-01
    grouping: [subscription, charge, "attribute:site"]
    subscriptions: [Charger Subscription]
"""
