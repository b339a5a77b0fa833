package sdk

import "slices"

// Condition is one entry of status.conditions, as metav1.Condition is.
//
// LastTransitionTime is best left out: the host fills it in, with the time of the last response in which Status
// changed. So a module without a clock has correct conditions. Likewise ObservedGeneration, where the kind's schema
// declares it.
type Condition struct {
	Type               string          `json:"type"`
	Status             ConditionStatus `json:"status"`
	Reason             string          `json:"reason"`
	Message            string          `json:"message"`
	ObservedGeneration int64           `json:"observedGeneration,omitempty"`
	LastTransitionTime string          `json:"lastTransitionTime,omitempty"`
}

// ConditionStatus is the status of a Condition: True, False or Unknown.
type ConditionStatus string

// The values of a ConditionStatus.
const (
	True    ConditionStatus = "True"
	False   ConditionStatus = "False"
	Unknown ConditionStatus = "Unknown"
)

// StatusOf returns True or False.
func StatusOf(holds bool) ConditionStatus {
	if holds {
		return True
	}
	return False
}

// SetCondition puts condition in place of the one with its type, or at the end.
func SetCondition(conditions *[]Condition, condition Condition) {
	if existing := FindCondition(*conditions, condition.Type); existing != nil {
		*existing = condition
		return
	}
	*conditions = append(*conditions, condition)
}

// FindCondition returns the condition of this type, or nil. What it points to is within conditions.
func FindCondition(conditions []Condition, conditionType string) *Condition {
	i := slices.IndexFunc(conditions, func(c Condition) bool { return c.Type == conditionType })
	if i < 0 {
		return nil
	}
	return &conditions[i]
}

// ConditionIs tells whether the condition of this type is there and has this status.
func ConditionIs(conditions []Condition, conditionType string, status ConditionStatus) bool {
	condition := FindCondition(conditions, conditionType)
	return condition != nil && condition.Status == status
}
