import { useState } from 'react'
import { useNavigate } from 'react-router'
import { explain } from '@/components/feedback'
import { PageBody, PageHeader } from '@/components/page'
import { Button } from '@/components/ui/button'
import { useCreatePipeline } from '@/features/pipelines/api'
import { DefinitionForm } from '@/features/pipelines/components/definition-form'
import { usePageTitle } from '@/hooks/use-page-title'
import { DraftSlot } from '@/pages/drafting/draft-slot'

const BEGINNING = `id: my-pipeline
name: My pipeline
stages:
  - id: start
    type: noop
`

export function NewPipelinePage() {
  usePageTitle('New pipeline')
  const navigate = useNavigate()
  const [source, setSource] = useState(BEGINNING)
  const create = useCreatePipeline()
  return (
    <>
      <PageHeader title="New pipeline" crumbs={[{ label: 'Pipelines', to: '/pipelines' }]} />
      <PageBody>
        <DraftSlot
          pipelineId={null}
          source={source === BEGINNING ? '' : source}
          onUse={setSource}
        />
        <DefinitionForm
          title="Definition"
          source={source}
          onChange={setSource}
          refusal={create.error && explain(create.error)}
          actions={(valid) => (
            <Button
              variant="primary"
              size="small"
              disabled={valid !== true || create.isPending}
              onClick={() =>
                create.mutate(source, {
                  onSuccess: (pipeline) => void navigate(`/pipelines/${pipeline.id}`),
                })
              }
            >
              {create.isPending ? 'Creating…' : 'Create pipeline'}
            </Button>
          )}
        />
      </PageBody>
    </>
  )
}
